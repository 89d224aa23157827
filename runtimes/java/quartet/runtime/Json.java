package quartet.runtime;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON (RFC 8259) between text and plain values, and between those and a handler's own types: setters and getters, or public fields. */
final class Json {
	private final String text;
	private int at;

	private Json(String text) {
		this.text = text;
	}

	static Object parse(String text) {
		Json j = new Json(text);
		Object v = j.value();
		j.space();
		if (j.at != text.length())
			throw j.wrong();
		return v;
	}

	private IllegalArgumentException wrong() {
		return new IllegalArgumentException("the event is not JSON at offset " + at);
	}

	private void space() {
		while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0)
			at++;
	}

	private boolean take(char c) {
		space();
		if (at >= text.length() || text.charAt(at) != c)
			return false;
		at++;
		return true;
	}

	private Object word(String word, Object value) {
		if (!text.startsWith(word, at))
			throw wrong();
		at += word.length();
		return value;
	}

	private Object value() {
		space();
		if (at >= text.length())
			throw wrong();
		switch (text.charAt(at)) {
		case '{':
			return object();
		case '[':
			return array();
		case '"':
			return string();
		case 't':
			return word("true", true);
		case 'f':
			return word("false", false);
		case 'n':
			return word("null", null);
		default:
			return number();
		}
	}

	private Map<String, Object> object() {
		Map<String, Object> map = new LinkedHashMap<>();
		at++;
		if (take('}'))
			return map;
		do {
			space();
			String key = string();
			if (!take(':'))
				throw wrong();
			map.put(key, value());
		} while (take(','));
		if (!take('}'))
			throw wrong();
		return map;
	}

	private List<Object> array() {
		List<Object> list = new ArrayList<>();
		at++;
		if (take(']'))
			return list;
		do
			list.add(value());
		while (take(','));
		if (!take(']'))
			throw wrong();
		return list;
	}

	private String string() {
		if (at >= text.length() || text.charAt(at++) != '"')
			throw wrong();
		StringBuilder out = new StringBuilder();
		for (;;) {
			if (at >= text.length())
				throw wrong();
			char c = text.charAt(at++);
			if (c == '"')
				return out.toString();
			if (c != '\\') {
				out.append(c);
				continue;
			}
			if (at >= text.length())
				throw wrong();
			char e = text.charAt(at++);
			int plain = "\"\\/bfnrt".indexOf(e);
			if (plain >= 0) {
				out.append("\"\\/\b\f\n\r\t".charAt(plain));
			} else if (e == 'u' && at + 4 <= text.length()) {
				out.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
				at += 4;
			} else {
				throw wrong();
			}
		}
	}

	private Object number() {
		int begin = at;
		while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0)
			at++;
		String digits = text.substring(begin, at);
		if (digits.isEmpty())
			throw wrong();
		if (digits.chars().anyMatch(c -> c == '.' || c == 'e' || c == 'E'))
			return Double.valueOf(digits);
		long v = Long.parseLong(digits);
		if (v == (int) v)
			return (int) v;
		return v;
	}

	/** A parsed value as the type that a handler asks for. */
	static Object convert(Object v, Type type) throws Exception {
		if (type instanceof ParameterizedType p) {
			Type[] inner = p.getActualTypeArguments();
			Class<?> raw = (Class<?>) p.getRawType();
			if (v instanceof List<?> list && raw.isAssignableFrom(ArrayList.class)) {
				List<Object> out = new ArrayList<>();
				for (Object item : list)
					out.add(convert(item, inner[0]));
				return out;
			}
			if (v instanceof Map<?, ?> map && raw.isAssignableFrom(LinkedHashMap.class)) {
				Map<Object, Object> out = new LinkedHashMap<>();
				for (Map.Entry<?, ?> e : map.entrySet())
					out.put(e.getKey(), convert(e.getValue(), inner[1]));
				return out;
			}
			return convert(v, raw);
		}
		if (!(type instanceof Class<?> c) || v == null || c.isInstance(v))
			return v;
		if (v instanceof Number n) {
			if (c == int.class || c == Integer.class)
				return n.intValue();
			if (c == long.class || c == Long.class)
				return n.longValue();
			if (c == double.class || c == Double.class)
				return n.doubleValue();
			if (c == float.class || c == Float.class)
				return n.floatValue();
		}
		if (c == boolean.class && v instanceof Boolean)
			return v;
		if (c == String.class)
			return v instanceof Map || v instanceof List ? write(v) : String.valueOf(v);
		if (v instanceof Map<?, ?> map && !c.isPrimitive() && !c.isInterface())
			return fill(map, c);
		throw new IllegalArgumentException("the event is no " + c.getName());
	}

	private static Object fill(Map<?, ?> map, Class<?> type) throws Exception {
		Object made = type.getDeclaredConstructor().newInstance();
		for (Map.Entry<?, ?> e : map.entrySet()) {
			String name = String.valueOf(e.getKey());
			if (name.isEmpty())
				continue;
			String setter = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
			for (Method m : type.getMethods())
				if (m.getName().equals(setter) && m.getParameterCount() == 1)
					m.invoke(made, convert(e.getValue(), m.getGenericParameterTypes()[0]));
			for (Field f : type.getFields())
				if (f.getName().equals(name) && !Modifier.isStatic(f.getModifiers()))
					f.set(made, convert(e.getValue(), f.getGenericType()));
		}
		return made;
	}

	static String write(Object v) throws IllegalArgumentException {
		StringBuilder out = new StringBuilder();
		put(out, v, 0);
		return out.toString();
	}

	private static void put(StringBuilder out, Object v, int depth) {
		if (depth > 100)
			throw new IllegalArgumentException("the result refers to itself");
		if (v == null || v instanceof Boolean || v instanceof Number) {
			out.append(v);
		} else if (v instanceof CharSequence || v instanceof Character || v instanceof Enum<?>) {
			quote(out, v.toString());
		} else if (v instanceof Map<?, ?> map) {
			putMap(out, map, depth);
		} else if (v instanceof Collection<?> items) {
			String comma = "";
			out.append('[');
			for (Object item : items) {
				out.append(comma);
				put(out, item, depth + 1);
				comma = ",";
			}
			out.append(']');
		} else if (v.getClass().isArray()) {
			List<Object> items = new ArrayList<>();
			for (int i = 0; i < Array.getLength(v); i++)
				items.add(Array.get(v, i));
			put(out, items, depth);
		} else {
			putMap(out, properties(v), depth);
		}
	}

	private static void putMap(StringBuilder out, Map<?, ?> map, int depth) {
		String comma = "";
		out.append('{');
		for (Map.Entry<?, ?> e : map.entrySet()) {
			out.append(comma);
			quote(out, String.valueOf(e.getKey()));
			out.append(':');
			put(out, e.getValue(), depth + 1);
			comma = ",";
		}
		out.append('}');
	}

	private static Map<String, Object> properties(Object v) {
		Map<String, Object> map = new LinkedHashMap<>();
		try {
			for (Field f : v.getClass().getFields())
				if (!Modifier.isStatic(f.getModifiers()))
					map.put(f.getName(), f.get(v));
			for (Method m : v.getClass().getMethods()) {
				String name = m.getName();
				int prefix = name.startsWith("get") ? 3 : name.startsWith("is") ? 2 : name.length();
				if (prefix < name.length() && m.getParameterCount() == 0 && m.getDeclaringClass() != Object.class && !Modifier.isStatic(m.getModifiers())) {
					m.setAccessible(true);
					map.put(Character.toLowerCase(name.charAt(prefix)) + name.substring(prefix + 1), m.invoke(v));
				}
			}
		} catch (ReflectiveOperationException e) {
			throw new IllegalArgumentException("the result cannot be read: " + e, e);
		}
		return map;
	}

	private static void quote(StringBuilder out, String s) {
		out.append('"');
		for (int i = 0; i < s.length(); i++) {
			char c = s.charAt(i);
			int special = "\"\\\b\f\n\r\t".indexOf(c);
			if (special >= 0)
				out.append('\\').append("\"\\bfnrt".charAt(special));
			else if (c < 0x20)
				out.append(String.format("\\u%04x", (int) c));
			else
				out.append(c);
		}
		out.append('"');
	}
}
