package org.crac;

public class RestoreException extends Exception {
	public RestoreException() {}

	public RestoreException(String message) {
		super(message);
	}
}
