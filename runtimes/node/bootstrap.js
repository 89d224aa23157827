// The Lambda runtime client for Node.js. Started with the function's environment, or ahead of time as a stem: then QUARTET_STEM_FD names
// a descriptor on which one JSON line comes once the function is known: {"env": ..., "handler": ..., "task_root": ...}.
//
// The Runtime API is spoken over one kept connection by hand; the answer to an event and the request for the next go out in one write.
'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');
const util = require('util');
const { pathToFileURL } = require('url');
const { Writable } = require('stream');

const API = '/2018-06-01/runtime/';
const MAJOR = Number(process.versions.node.split('.')[0]);

// ---- HTTP

class Connection {
	constructor(address) {
		const colon = address.lastIndexOf(':');
		this.options = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true };
		this.host = address;
		this.data = Buffer.alloc(0);
		this.waiting = [];
	}

	connect() {
		this.socket = net.connect(this.options);
		this.socket.on('data', (bytes) => {
			this.data = this.data.length ? Buffer.concat([this.data, bytes]) : bytes;
			this.parse();
		});
		this.socket.on('error', () => {});
		this.socket.on('close', () => this.lost());
	}

	// An answer that is too large is not read to its end, and the connection with it: the next event is asked for on another.
	lost() {
		if (dying !== undefined)
			process.exit(dying);
		if (this.waiting.length !== 1 && this.waiting.length !== 2)
			process.exit(1);
		if (this.waiting.length === 2)
			this.waiting.shift()({ status: 413 });
		this.data = Buffer.alloc(0);
		this.connect();
		this.socket.write(this.get('invocation/next'));
	}

	parse() {
		for (;;) {
			const end = this.data.indexOf('\r\n\r\n');
			if (end < 0)
				return;
			const lines = this.data.toString('latin1', 0, end).split('\r\n');
			const headers = {};
			for (let i = 1; i < lines.length; i++) {
				const colon = lines[i].indexOf(':');
				headers[lines[i].slice(0, colon).toLowerCase()] = lines[i].slice(colon + 1).trim();
			}
			const length = Number(headers['content-length'] || 0);
			if (this.data.length < end + 4 + length)
				return;
			const body = this.data.subarray(end + 4, end + 4 + length);
			this.data = this.data.subarray(end + 4 + length);
			this.waiting.shift()({ status: Number(lines[0].slice(9, 12)), headers, body });
		}
	}

	receive() {
		return new Promise((resolve) => this.waiting.push(resolve));
	}

	head(method, where, headers) {
		return `${method} ${API}${where} HTTP/1.1\r\nHost: ${this.host}\r\n${headers}\r\n`;
	}

	get(where) {
		return this.head('GET', where, '');
	}

	post(where, body, headers = '') {
		return this.head('POST', where, `Content-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n`) + body;
	}
}

// ---- errors

class Fault extends Error {
	constructor(name, message) {
		super(message);
		this.name = name;
	}
}

class UnhandledPromiseRejection extends Fault {
	constructor(reason, promise) {
		super('Runtime.UnhandledPromiseRejection', String(reason));
		this.reason = reason;
		this.promise = promise;
	}
}

function errorBody(error) {
	if (util.types.isNativeError(error) || (error && error.name && error.message !== undefined && error.stack)) {
		const body = { errorType: error.name, errorMessage: error.message, trace: String(error.stack || '').split('\n') };
		return body;
	}
	return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function errorForLog(error) {
	const body = errorBody(error);
	const out = { errorType: body.errorType, errorMessage: body.errorMessage };
	if (error && typeof error === 'object') {
		if (error.code)
			out.code = error.code;
		for (const [key, value] of Object.entries(error))
			if (!(key in out) && key !== 'name')
				out[key] = value;
	}
	out.stack = body.trace;
	return out;
}

function toLogText(out) {
	return JSON.stringify(out, (_, value) => {
		if (typeof value === 'bigint')
			return String(value);
		return util.types.isNativeError(value) ? errorForLog(value) : value;
	});
}

// ---- console

let currentRequestId;
const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };

// One event of the log, however many lines it has: framed as AWS's clients do it.
function writeOut(text) {
	let at = 0;
	const head = Buffer.alloc(16);
	const message = Buffer.from(text);
	head.writeUInt32BE(0xa55a0003, 0);
	head.writeUInt32BE(message.length, 4);
	head.writeBigUInt64BE(BigInt(Date.now()) * 1000n, 8);
	const bytes = Buffer.concat([head, message]);
	while (at < bytes.length) {
		try {
			at += fs.writeSync(1, bytes, at);
		} catch (e) {
			if (e.code !== 'EAGAIN')
				throw e;
		}
	}
}

function logText(level, message, ...args) {
	const line = util.format(message, ...args);
	writeOut(`${new Date().toISOString()}\t${currentRequestId}\t${level}\t${line}\n`);
}

function logJson(level, message, ...args) {
	const out = { timestamp: new Date().toISOString(), level, requestId: currentRequestId };
	if (args.length === 0 && typeof message === 'object' && message !== null && !util.types.isNativeError(message)) {
		out.message = message;
	} else {
		out.message = util.format(message, ...args);
		const error = [message, ...args].find((a) => util.types.isNativeError(a));
		if (error) {
			out.errorType = error.name;
			out.errorMessage = error.message;
			out.stackTrace = String(error.stack).split('\n');
		}
	}
	try {
		writeOut(JSON.stringify(out) + '\n');
	} catch {
		out.message = util.format(message, ...args);
		writeOut(JSON.stringify(out) + '\n');
	}
}

function patchConsole() {
	const json = process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON';
	const least = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || LEVELS.TRACE;
	const write = json ? logJson : logText;
	const at = (level) => (least <= LEVELS[level] ? (...args) => write(level, ...args) : () => {});
	console.log = at('INFO');
	console.info = at('INFO');
	console.debug = at('DEBUG');
	console.warn = at('WARN');
	console.error = at('ERROR');
	console.trace = at('TRACE');
	console.fatal = at('FATAL');
}

// ---- the handler

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');

class HttpResponseStream {
	static from(stream, prelude) {
		stream.setContentType('application/vnd.awslambda.http-integration-response');
		stream._onBeforeFirstWrite = (write) => {
			write(JSON.stringify(prelude));
			write(Buffer.alloc(8));
		};
		return stream;
	}
}
globalThis.awslambda = {
	streamifyResponse: (handler, options) => {
		handler[STREAMING] = 'response';
		if (options && options.highWaterMark)
			handler.highWaterMark = options.highWaterMark;
		return handler;
	},
	HttpResponseStream,
};

async function tryLoad(file) {
	for (const ext of ['', '.js', '.mjs', '.cjs']) {
		const full = file + ext;
		if (!fs.existsSync(full) || !fs.statSync(full).isFile())
			continue;
		if (ext === '.mjs')
			return import(pathToFileURL(full).href);
		if (ext === '.cjs')
			return require(full);
		return isModule(full) ? import(pathToFileURL(full).href) : require(full);
	}
	return undefined;
}

// The nearest package.json decides what a .js file is.
function isModule(file) {
	for (let dir = path.dirname(file);; dir = path.dirname(dir)) {
		if (path.basename(dir) === 'node_modules')
			return false;
		try {
			return JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8')).type === 'module';
		} catch (e) {
			if (e.code !== 'ENOENT' && e.code !== 'ENOTDIR')
				return false;
		}
		if (dir === path.dirname(dir))
			return false;
	}
}

async function loadHandler(root, text) {
	if (text.includes('..'))
		throw new Fault('Runtime.MalformedHandlerName', `'${text}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
	const base = path.basename(text), dir = text.slice(0, text.length - base.length);
	const match = /^([^.]*)\.(.*)$/.exec(base);
	if (!match)
		throw new Fault('Runtime.MalformedHandlerName', 'Bad handler');
	const [, moduleName, props] = match;
	let module;
	try {
		module = await tryLoad(path.resolve(root, dir, moduleName));
		if (module === undefined)
			module = require(require.resolve(dir + moduleName, { paths: [root, path.join(root, dir)] }));
	} catch (e) {
		if (e instanceof SyntaxError)
			throw Object.assign(new Fault('Runtime.UserCodeSyntaxError', e.toString()), { stack: e.stack });
		if (e && (e.code === 'MODULE_NOT_FOUND' || e.code === 'ERR_MODULE_NOT_FOUND')) {
			const text = e.message.startsWith(`Cannot find module '${dir + moduleName}'`) ? `Error: Cannot find module '${moduleName}'\nRequire stack:\n- ${__filename}` : e.toString();
			throw new Fault('Runtime.ImportModuleError', text);
		}
		throw e;
	}
	const find = (from) => props.split('.').reduce((at, name) => (at === undefined || at === null ? undefined : at[name]), from);
	let handler = find(module);
	if (handler === undefined && module.default !== undefined)
		handler = find(module.default);
	if (!handler)
		throw new Fault('Runtime.HandlerNotFound', `${text} is undefined or not exported`);
	if (typeof handler !== 'function')
		throw new Fault('Runtime.HandlerNotFound', `${text} is not a function`);
	return handler;
}

// ---- one invocation

function makeContext(headers, answer) {
	const deadline = Number(headers['lambda-runtime-deadline-ms']);
	const context = {
		callbackWaitsForEmptyEventLoop: true,
		functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
		functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
		memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
		logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
		logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
		clientContext: headers['lambda-runtime-client-context'] ? JSON.parse(headers['lambda-runtime-client-context']) : undefined,
		identity: headers['lambda-runtime-cognito-identity'] ? JSON.parse(headers['lambda-runtime-cognito-identity']) : undefined,
		invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
		awsRequestId: headers['lambda-runtime-aws-request-id'],
		getRemainingTimeInMillis: () => deadline - Date.now(),
		succeed: (value) => answer(null, value, true),
		fail: (error) => answer(error === undefined || error === null ? 'handled' : error, undefined, true),
		done: (error, value) => answer(error, value, true),
	};
	return context;
}

// What the event loop runs dry for: set while a callback handler's answer waits for it.
let onEmptyLoop = null;
process.on('beforeExit', () => {
	const fn = onEmptyLoop;
	onEmptyLoop = null;
	if (fn)
		fn();
});

function errorRequest(connection, id, error) {
	const body = errorBody(error);
	let kind = String(body.errorType);
	if (!/^(Runtime|Function)\./.test(kind))
		kind = `Function.${kind}`;
	kind = kind.replace(/[^\x20-\x7e]/g, '?');
	return connection.post(`invocation/${id}/error`, JSON.stringify(body), `Lambda-Runtime-Function-Error-Type: ${kind}\r\n`);
}

function reportError(what, error) {
	if (process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON') {
		const { errorType, errorMessage, stack, ...more } = errorForLog(error);
		const message = { errorType, errorMessage, ...more, stackTrace: stack };
		writeOut(toLogText({ timestamp: new Date().toISOString(), level: 'ERROR', requestId: currentRequestId, message }) + '\n');
	} else {
		writeOut(`${new Date().toISOString()}\t${currentRequestId}\tERROR\t${what} \t${toLogText(errorForLog(error))}\n`);
	}
}

// What nobody caught ends the process; whoever waits is told first.
let underWay; // the invocation that is owed an answer
let dying;    // the exit status, once it is clear

function die(connection, what, error, status) {
	reportError(what, error);
	if (dying !== undefined)
		return;
	dying = status;
	let request;
	if (!underWay)
		request = connection.post('init/error', JSON.stringify(errorBody(error)), `Lambda-Runtime-Function-Error-Type: ${errorBody(error).errorType}\r\n`);
	else if (underWay.streams)
		request = streamError(error);
	else if (underWay.id)
		request = errorRequest(connection, underWay.id, error);
	else
		process.exit(status);
	connection.socket.ref();
	connection.socket.write(request);
	connection.receive().then(() => process.exit(status));
}

// The end of a stream that has begun: trailers that say why there is no more.
function streamError(error) {
	const body = errorBody(error);
	return `0\r\nLambda-Runtime-Function-Error-Type: ${body.errorType}\r\n` +
		`Lambda-Runtime-Function-Error-Body: ${Buffer.from(JSON.stringify(body)).toString('base64')}\r\n\r\n`;
}

function callHandler(handler, event, headers) {
	return new Promise((resolve, reject) => {
		let answered = false, waits = true;
		const settle = (error, value) => {
			if (error !== null && error !== undefined)
				reject(error);
			else
				resolve(value);
		};
		const answer = (error, value, now) => {
			if (answered)
				return;
			answered = true;
			waits = context.callbackWaitsForEmptyEventLoop && !now;
			if (!waits)
				settle(error, value);
			else
				onEmptyLoop = () => settle(error, value);
		};
		const context = makeContext(headers, answer);
		let result;
		try {
			result = handler(event, context, (error, value) => answer(error, value, false));
		} catch (e) {
			answered = true;
			reject(e);
			return;
		}
		if (result && typeof result.then === 'function') {
			result.then((value) => {
				if (!answered || !waits) {
					answered = true;
					settle(null, value);
				}
			}, (e) => {
				answered = true;
				settle(e === undefined || e === null ? new Error(String(e)) : e);
			});
		} else if (!answered) {
			// A handler that neither answers nor leaves anything to wait for has answered null.
			onEmptyLoop = () => settle(null, undefined);
		}
	});
}

async function runStreaming(handler, event, headers, connection, id) {
	let contentType = 'application/octet-stream', begun = false;
	const context = makeContext(headers, () => {});
	const chunk = (bytes) => {
		connection.socket.write(`${bytes.length.toString(16)}\r\n`);
		connection.socket.write(bytes);
		return connection.socket.write('\r\n');
	};
	const begin = (stream) => {
		if (begun)
			return;
		begun = underWay.streams = true;
		connection.socket.write(connection.head('POST', `invocation/${id}/response`,
			`Content-Type: ${contentType}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n` +
			'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n'));
		if (stream._onBeforeFirstWrite)
			stream._onBeforeFirstWrite((part) => chunk(Buffer.from(part)));
	};
	const stream = new Writable({
		highWaterMark: handler.highWaterMark,
		write(bytes, encoding, done) {
			begin(stream);
			const part = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, encoding);
			if (!part.length || chunk(part))
				done();
			else
				connection.socket.once('drain', done);
		},
	});
	stream.setContentType = (type) => {
		contentType = type;
	};
	const finished = new Promise((resolve, reject) => {
		stream.on('finish', resolve);
		stream.on('error', reject);
	});
	finished.catch(() => {});
	try {
		await handler(event, stream, context);
		if (!stream.writableEnded)
			stream.end();
		await finished;
		begin(stream);
		return '0\r\n\r\n';
	} catch (e) {
		reportError('Invoke Error', e);
		return begun ? streamError(e) : errorRequest(connection, id, e);
	}
}

async function answerEvent(handler, connection, headers, body) {
	const id = headers['lambda-runtime-aws-request-id'];
	currentRequestId = id;
	if (headers['lambda-runtime-trace-id'])
		process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
	else
		delete process.env._X_AMZN_TRACE_ID;
	const event = JSON.parse(body.toString('utf8'));
	if (handler[STREAMING] === 'response')
		return runStreaming(handler, event, headers, connection, id);
	try {
		const value = await callHandler(handler, event, headers);
		let text;
		try {
			text = JSON.stringify(value === undefined ? null : value);
			if (text === undefined)
				text = 'null';
		} catch (e) {
			throw new Fault('Runtime.MarshalError', `Unable to stringify response body: ${e.message}`);
		}
		return connection.post(`invocation/${id}/response`, text);
	} catch (e) {
		reportError('Invoke Error', e);
		return errorRequest(connection, id, e);
	} finally {
		onEmptyLoop = null;
	}
}

// --- SnapStart

const RESEED = path.join(__dirname, '..', 'lib', 'reseed.so');

// All copies of this process have the same random state; each gets its own. Loading the library makes OpenSSL take new entropy. What was
// drawn ahead is used up, and Math.random(), whose state nobody can set, draws from OpenSSL from now on.
function beDifferent() {
	try {
		process.dlopen({ exports: {} }, RESEED);
	} catch (e) {
		if (!/self-register/.test(e.message))
			throw e;
	}
	const crypto = require('crypto');
	for (let i = 0; i < 128; i++)
		crypto.randomUUID();
	for (let i = 0; i < 1024; i++)
		crypto.randomInt(2);
	const pool = new Uint32Array(256);
	let left = 0;
	const random = () => {
		if (left === 0) {
			crypto.randomFillSync(pool);
			left = pool.length;
		}
		left -= 2;
		return ((pool[left] >>> 5) * 67108864 + (pool[left + 1] >>> 6)) / 9007199254740992;
	};
	Object.defineProperty(Math, 'random', { value: random, writable: true, configurable: true, enumerable: false });
}

// Comes back in whoever is restored, with a new connection in the place of the old one.
async function snapshot(connection) {
	fs.accessSync(RESEED);
	const reply = connection.receive();
	connection.socket.write(connection.get('restore/next'));
	const { status, headers } = await reply;
	if (status !== 200)
		process.exit(1);
	beDifferent();
	process.env.AWS_LAMBDA_LOG_STREAM_NAME = headers['lambda-runtime-log-stream-name'];
}

async function run(handlerText, root, connection) {
	process.on('uncaughtException', (e) => die(connection, 'Uncaught Exception', e, 129));
	process.on('unhandledRejection', (reason, promise) =>
		die(connection, 'Unhandled Promise Rejection', new UnhandledPromiseRejection(reason, promise), 128));
	let handler;
	try {
		handler = await loadHandler(root, handlerText);
	} catch (e) {
		die(connection, 'Uncaught Exception', e, 1);
		return;
	}
	try {
		if (process.env.AWS_LAMBDA_INITIALIZATION_TYPE === 'snap-start')
			await snapshot(connection);
	} catch (e) {
		die(connection, 'Uncaught Exception', e, 1);
		return;
	}
	underWay = {};
	const following = connection.get('invocation/next');
	let next = connection.receive();
	connection.socket.write(following);
	for (;;) {
		const { status, headers, body } = await next;
		if (status !== 200)
			process.exit(1);
		// While a callback handler runs, the connection shall not keep the event loop from running dry.
		connection.socket.unref();
		underWay = { id: headers['lambda-runtime-aws-request-id'] };
		const request = await answerEvent(handler, connection, headers, body);
		if (dying !== undefined)
			return;
		underWay = {};
		connection.socket.ref();
		const done = connection.receive();
		next = connection.receive();
		connection.socket.write(request + following);
		await done;
	}
}

function readLine(fd) {
	const parts = [];
	const piece = Buffer.alloc(65536);
	for (;;) {
		const n = fs.readSync(fd, piece, 0, piece.length, null);
		if (n === 0)
			process.exit(0);
		parts.push(Buffer.from(piece.subarray(0, n)));
		if (piece[n - 1] === 10)
			return Buffer.concat(parts).toString('utf8');
	}
}

// Walks the way of a first event with a handler of our own. Nothing of it stays.
async function rehearse(connection) {
	const handler = await loadHandler(__dirname, 'warm.handler');
	connection.data = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nLambda-Runtime-Aws-Request-Id: 0\r\nLambda-Runtime-Deadline-Ms: 0\r\n\r\n{}');
	const reply = connection.receive();
	connection.parse();
	const { headers, body } = await reply;
	await answerEvent(handler, connection, headers, body);
	connection.get('invocation/next');
	util.format('%s', '');
	new Date().toISOString();
	new Date().getTimezoneOffset();
	currentRequestId = undefined;
}

async function stem(fd) {
	const connection = new Connection('127.0.0.1:9001');
	connection.connect();
	await Promise.all([rehearse(connection), new Promise((resolve) => connection.socket.once('connect', resolve))]);
	fs.writeSync(fd, 'ready\n');
	const message = JSON.parse(readLine(fd));
	fs.closeSync(fd);
	// Only what differs: any write to TZ, even of the same value, costs a search through the machine's time zones.
	for (const name of Object.keys(process.env))
		if (!(name in message.env))
			delete process.env[name];
	for (const [name, value] of Object.entries(message.env))
		if (process.env[name] !== value)
			process.env[name] = value;
	require('module')._initPaths();
	start(message.handler, message.task_root, connection);
}

function start(handler, root, connection) {
	process.chdir(root);
	process.argv.splice(1);
	patchConsole();
	run(handler, root, connection);
}

if (process.env.QUARTET_STEM_FD) {
	stem(Number(process.env.QUARTET_STEM_FD));
} else {
	const connection = new Connection(process.env.AWS_LAMBDA_RUNTIME_API);
	connection.connect();
	start(process.env._HANDLER, process.env.LAMBDA_TASK_ROOT || '/var/task', connection);
}
