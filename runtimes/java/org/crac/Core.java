package org.crac;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The hooks of SnapStart, under the names that functions know: before a snapshot the last registered first, after it in their order. */
public final class Core {
	private static final Context<Resource> GLOBAL = new Global();

	private Core() {}

	public static Context<Resource> getGlobalContext() {
		return GLOBAL;
	}

	public static void checkpointRestore() throws CheckpointException, RestoreException {
		throw new UnsupportedOperationException("Lambda takes snapshots when a version is published");
	}

	private static final class Global extends Context<Resource> {
		private final List<Resource> resources = new ArrayList<>();

		private synchronized List<Resource> list() {
			return new ArrayList<>(resources);
		}

		@Override
		public synchronized void register(Resource resource) {
			resources.add(resource);
		}

		@Override
		public void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException {
			List<Resource> all = list();
			Collections.reverse(all);
			CheckpointException failed = null;
			for (Resource r : all) {
				try {
					r.beforeCheckpoint(this);
				} catch (Exception e) {
					if (failed == null)
						failed = new CheckpointException();
					failed.addSuppressed(e);
				}
			}
			if (failed != null)
				throw failed;
		}

		@Override
		public void afterRestore(Context<? extends Resource> context) throws RestoreException {
			RestoreException failed = null;
			for (Resource r : list()) {
				try {
					r.afterRestore(this);
				} catch (Exception e) {
					if (failed == null)
						failed = new RestoreException();
					failed.addSuppressed(e);
				}
			}
			if (failed != null)
				throw failed;
		}
	}
}
