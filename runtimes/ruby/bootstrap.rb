# The Lambda runtime client for Ruby. Started with the function's environment, or ahead of time as a stem: then QUARTET_STEM_FD names a
# descriptor on which one JSON line comes once the function is known ({"env": ..., "handler": ..., "task_root": ...}); the stem says
# "ready" on it when it waits.
#
# HTTP is spoken by hand over one kept connection; the answer to an event and the request for the next go out in one write.
require 'json'
require 'logger'
require 'socket'
require 'time'

module QuartetRuntime
  API = '/2018-06-01/runtime/'.freeze

  class Connection
    def initialize(address)
      @host = address
      connect
    end

    def connect
      host, port = @host.split(':')
      @socket = TCPSocket.new(host, Integer(port))
      @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
    end

    def get(path)
      "GET #{API}#{path} HTTP/1.1\r\nHost: #{@host}\r\n\r\n"
    end

    def post(path, body, headers = '')
      "POST #{API}#{path} HTTP/1.1\r\nHost: #{@host}\r\nContent-Type: application/json\r\n#{headers}Content-Length: #{body.bytesize}\r\n\r\n".b + body.b
    end

    def send(bytes)
      @socket.write(bytes)
    end

    # Status, headers with lower-case names, body.
    def receive
      line = @socket.gets or raise IOError, 'the Runtime API closed the connection'
      status = line[9, 3].to_i
      headers = {}
      while (line = @socket.gets) && line != "\r\n"
        name, value = line.split(':', 2)
        headers[name.downcase] = value.strip
      end
      length = headers.fetch('content-length', '0').to_i
      [status, headers, length.zero? ? '' : @socket.read(length).force_encoding(Encoding::UTF_8)]
    end
  end

  class Context
    attr_reader :aws_request_id, :invoked_function_arn, :log_group_name, :log_stream_name, :function_name, :memory_limit_in_mb, :function_version,
                :deadline_ms, :identity, :client_context

    def initialize(headers)
      @aws_request_id = headers['lambda-runtime-aws-request-id']
      @deadline_ms = headers['lambda-runtime-deadline-ms'].to_i
      @invoked_function_arn = headers['lambda-runtime-invoked-function-arn']
      @log_group_name = ENV['AWS_LAMBDA_LOG_GROUP_NAME']
      @log_stream_name = ENV['AWS_LAMBDA_LOG_STREAM_NAME']
      @function_name = ENV['AWS_LAMBDA_FUNCTION_NAME']
      @memory_limit_in_mb = ENV['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']
      @function_version = ENV['AWS_LAMBDA_FUNCTION_VERSION']
      @identity = JSON.parse(headers['lambda-runtime-cognito-identity']) if headers['lambda-runtime-cognito-identity']
      @client_context = JSON.parse(headers['lambda-runtime-client-context']) if headers['lambda-runtime-client-context']
    end

    def get_remaining_time_in_millis
      left = @deadline_ms - (Time.now.to_f * 1000).to_i
      left.positive? ? left : 0
    end
  end

  class StartError < StandardError
    attr_reader :kind

    def initialize(kind, message)
      super(message)
      @kind = kind
    end
  end

  module_function

  # file.method or file.Module::Class.method
  def load_handler(text)
    file, *rest = text.split('.')
    raise StartError.new('Init<ArgumentError>', "Invalid handler #{text}, must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where FILENAME corresponds with an existing Ruby source file FILENAME.rb, CLASS is an optional module/class namespace and METHOD is a callable method. If using CLASS, METHOD must be a class-level method.") if rest.empty? || rest.length > 2

    require File.expand_path(file)
    owner = rest.length == 2 ? Kernel.const_get(rest[0]) : TOPLEVEL_BINDING.receiver
    name = rest.last.to_sym
    raise NoMethodError, "undefined method `#{name}' for #{owner}" unless owner.respond_to?(name, true)

    ->(event, context) { owner.__send__(name, event: event, context: context) }
  end

  def error_body(kind, error)
    { errorMessage: error.message, errorType: kind, stackTrace: (error.backtrace || []).reject { |line| line.start_with?(__FILE__) } }
  end

  def log_error(error)
    puts "#{Time.now.utc.iso8601(3)}\tERROR\t#{error.class}: #{error.message}\r\t#{(error.backtrace || []).join("\r\t")}"
  end

  def answer(handler, connection, headers, body)
    id = headers['lambda-runtime-aws-request-id']
    headers['lambda-runtime-trace-id'] ? ENV['_X_AMZN_TRACE_ID'] = headers['lambda-runtime-trace-id'] : ENV.delete('_X_AMZN_TRACE_ID')
    begin
      result = handler.call(JSON.parse(body), Context.new(headers))
      return connection.post("invocation/#{id}/response", JSON.generate(result))
    rescue NoMemoryError, StandardError, ScriptError => e
      log_error(e)
      kind = "Function<#{e.class}>"
      return connection.post("invocation/#{id}/error", JSON.generate(error_body(kind, e)), "Lambda-Runtime-Function-Error-Type: #{kind}\r\n")
    ensure
      $stdout.flush
      $stderr.flush
    end
  end

  # SnapStart: comes back in whoever is restored, with a new connection in the place of the old one. All copies of this process have the
  # same random state; each gets its own.
  def snapshot(connection)
    GC.start
    connection.send(connection.get('restore/next'))
    status, headers, = connection.receive
    abort("the Runtime API answered #{status} to /restore/next") unless status == 200
    srand
    OpenSSL::Random.seed(Random.urandom(64)) if defined?(OpenSSL::Random)
    ENV['AWS_LAMBDA_LOG_STREAM_NAME'] = headers['lambda-runtime-log-stream-name']
  end

  def run(handler_text, connection)
    begin
      handler = load_handler(handler_text)
    rescue StandardError, ScriptError => e
      kind = e.is_a?(StartError) ? e.kind : "Init<#{e.class}>"
      log_error(e)
      connection.send(connection.post('init/error', JSON.generate(error_body(kind, e)), "Lambda-Runtime-Function-Error-Type: #{kind}\r\n"))
      connection.receive
      exit!(1)
    end
    snapshot(connection) if ENV['AWS_LAMBDA_INITIALIZATION_TYPE'] == 'snap-start'
    following = connection.get('invocation/next')
    connection.send(following)
    loop do
      status, headers, body = connection.receive
      abort("the Runtime API answered #{status} to /next") unless status == 200
      request = answer(handler, connection, headers, body)
      begin
        connection.send(request + following)
        status, = connection.receive
      rescue SystemCallError, IOError
        status = 413
      end
      next unless status == 413

      # An answer that is too large is not read to its end: the connection is of no more use.
      connection.connect
      connection.send(following)
    end
  end

  def main
    $stdout.sync = true
    fd = ENV['QUARTET_STEM_FD']
    if fd
      connection = Connection.new('127.0.0.1:9001')
      socket = IO.for_fd(Integer(fd), 'r+')
      socket.sync = true
      socket.write("ready\n")
      line = socket.gets or exit!(0)
      socket.close
      message = JSON.parse(line)
      ENV.replace(message['env'])
      handler, root = message.values_at('handler', 'task_root')
    else
      connection = Connection.new(ENV.fetch('AWS_LAMBDA_RUNTIME_API'))
      handler = ENV.fetch('_HANDLER')
      root = ENV.fetch('LAMBDA_TASK_ROOT', '/var/task')
    end
    Dir.chdir(root)
    version = RUBY_VERSION[/\A\d+\.\d+/]
    $LOAD_PATH.unshift(root, '/opt/ruby/lib')
    Gem.use_paths(nil, ["/var/task/vendor/bundle/ruby/#{version}.0", "/opt/ruby/gems/#{version}.0", *Gem.path]) if fd
    run(handler, connection)
  end
end

QuartetRuntime.main
