package quartet.runtime;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.lang.reflect.Type;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.crac.Core;

/**
 * The Lambda runtime client for Java: asks for events, calls the handler by reflection, answers. It needs no library; where a function brings
 * AWS's interfaces (RequestHandler, Context), its handler is recognised by their names and gets a Context that implements them.
 */
public final class Bootstrap {
	private static final String BASE = "http://" + System.getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/";

	private static String logStream = System.getenv("AWS_LAMBDA_LOG_STREAM_NAME");

	private record Reply(HttpURLConnection head, byte[] body) {}

	private static Reply exchange(String method, String path, byte[] body) throws Exception {
		HttpURLConnection c = (HttpURLConnection) new URL(BASE + path).openConnection();
		c.setRequestMethod(method);
		if (body != null) {
			c.setDoOutput(true);
			c.setFixedLengthStreamingMode(body.length);
			try (OutputStream out = c.getOutputStream()) {
				out.write(body);
			}
		}
		InputStream in = c.getResponseCode() < 400 ? c.getInputStream() : c.getErrorStream();
		return new Reply(c, in == null ? new byte[0] : in.readAllBytes());
	}

	/** What the handler string names: a method, and the object to call it on. */
	private record Handler(Object target, Method method) {
		static Handler find(String text) throws Exception {
			String[] parts = text.split("::", 2);
			Class<?> type = Class.forName(parts[0]);
			String name = parts.length == 2 ? parts[1] : "handleRequest";
			Method best = null;
			for (Method m : type.getMethods()) {
				boolean better = best == null || (best.isBridge() && !m.isBridge()) ||
						(best.isBridge() == m.isBridge() && m.getParameterCount() > best.getParameterCount());
				if (m.getName().equals(name) && better)
					best = m;
			}
			if (best == null)
				throw new NoSuchMethodException(text);
			return new Handler(Modifier.isStatic(best.getModifiers()) ? null : type.getConstructor().newInstance(), best);
		}

		byte[] call(byte[] event, Reply head) throws Throwable {
			Type[] types = method.getGenericParameterTypes();
			Object[] arguments = new Object[types.length];
			ByteArrayOutputStream out = null;
			boolean taken = false;
			for (int i = 0; i < types.length; i++) {
				Class<?> raw = method.getParameterTypes()[i];
				if (raw == InputStream.class) {
					arguments[i] = new ByteArrayInputStream(event);
					taken = true;
				} else if (raw == OutputStream.class) {
					arguments[i] = out = new ByteArrayOutputStream();
				} else if (raw.isInterface() && raw.getName().endsWith(".lambda.runtime.Context")) {
					arguments[i] = context(raw, head);
				} else if (!taken) {
					arguments[i] = Json.convert(Json.parse(new String(event, StandardCharsets.UTF_8)), types[i]);
					taken = true;
				}
			}
			Object result;
			try {
				result = method.invoke(target, arguments);
			} catch (InvocationTargetException e) {
				throw e.getCause();
			}
			if (out != null)
				return out.toByteArray();
			return Json.write(result).getBytes(StandardCharsets.UTF_8);
		}
	}

	private static String header(Reply head, String name) {
		String v = head.head().getHeaderField("Lambda-Runtime-" + name);
		return v == null ? "" : v;
	}

	private static Object context(Class<?> type, Reply head) {
		long deadline = Long.parseLong(header(head, "Deadline-Ms"));
		return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> switch (method.getName()) {
			case "getAwsRequestId" -> header(head, "Aws-Request-Id");
			case "getInvokedFunctionArn" -> header(head, "Invoked-Function-Arn");
			case "getFunctionName" -> System.getenv("AWS_LAMBDA_FUNCTION_NAME");
			case "getFunctionVersion" -> System.getenv("AWS_LAMBDA_FUNCTION_VERSION");
			case "getLogGroupName" -> System.getenv("AWS_LAMBDA_LOG_GROUP_NAME");
			case "getLogStreamName" -> logStream;
			case "getMemoryLimitInMB" -> Integer.valueOf(System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
			case "getRemainingTimeInMillis" -> (int) Math.max(0, deadline - System.currentTimeMillis());
			case "getLogger" -> logger(method.getReturnType());
			case "toString" -> "Context";
			case "hashCode" -> System.identityHashCode(proxy);
			case "equals" -> proxy == arguments[0];
			default -> null;
		});
	}

	private static Object logger(Class<?> type) {
		return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
			if (method.getName().equals("log"))
				System.out.println(arguments[0] instanceof byte[] b ? new String(b, StandardCharsets.UTF_8) : String.valueOf(arguments[0]));
			return null;
		});
	}

	private static byte[] describe(Throwable e) {
		Map<String, Object> body = new LinkedHashMap<>();
		List<String> trace = new ArrayList<>();
		for (StackTraceElement frame : e.getStackTrace()) {
			if (frame.getClassName().startsWith("quartet.runtime.") || frame.getClassName().startsWith("jdk.internal.reflect."))
				break;
			trace.add(frame.toString());
		}
		body.put("errorMessage", e instanceof ClassNotFoundException ? "Class not found: " + e.getMessage() : e.getMessage());
		body.put("errorType", e.getClass().getName());
		body.put("stackTrace", trace);
		return Json.write(body).getBytes(StandardCharsets.UTF_8);
	}

	/** SnapStart: comes back in whoever is restored. */
	private static void snapshot() throws Exception {
		try {
			Core.getGlobalContext().beforeCheckpoint(null);
		} catch (Throwable e) {
			e.printStackTrace(System.out);
			exchange("POST", "init/error", describe(e));
			System.exit(64);
		}
		System.gc();
		Reply restored = exchange("GET", "restore/next", null);
		if (restored.head().getResponseCode() != 200)
			throw new IllegalStateException("the Runtime API answered " + restored.head().getResponseCode());
		logStream = restored.head().getHeaderField("Lambda-Runtime-Log-Stream-Name");
		try {
			Core.getGlobalContext().afterRestore(null);
		} catch (Throwable e) {
			e.printStackTrace(System.out);
			exchange("POST", "restore/error", describe(e));
			System.exit(64);
		}
	}

	public static void main(String[] unused) throws Exception {
		Handler handler = null;
		try {
			handler = Handler.find(System.getenv("_HANDLER"));
		} catch (Throwable e) {
			Throwable cause = e instanceof InvocationTargetException || e instanceof ExceptionInInitializerError ? e.getCause() : e;
			exchange("POST", "init/error", describe(cause));
			System.exit(1);
		}
		if ("snap-start".equals(System.getenv("AWS_LAMBDA_INITIALIZATION_TYPE")))
			snapshot();
		for (;;) {
			Reply next = exchange("GET", "invocation/next", null);
			if (next.head().getResponseCode() != 200)
				throw new IllegalStateException("the Runtime API answered " + next.head().getResponseCode());
			String path = "invocation/" + header(next, "Aws-Request-Id");
			System.setProperty("com.amazonaws.xray.traceHeader", header(next, "Trace-Id"));
			byte[] answer;
			String kind = "/response";
			try {
				answer = handler.call(next.body(), next);
			} catch (Throwable e) {
				e.printStackTrace(System.out);
				answer = describe(e);
				kind = "/error";
			}
			System.out.flush();
			exchange("POST", path + kind, answer);
		}
	}
}
