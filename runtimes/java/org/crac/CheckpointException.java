package org.crac;

public class CheckpointException extends Exception {
	public CheckpointException() {}

	public CheckpointException(String message) {
		super(message);
	}
}
