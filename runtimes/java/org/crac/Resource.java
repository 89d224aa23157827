package org.crac;

/** What wants to be told before a snapshot is taken (SnapStart) and after it was restored. */
public interface Resource {
	void beforeCheckpoint(Context<? extends Resource> context) throws Exception;

	void afterRestore(Context<? extends Resource> context) throws Exception;
}
