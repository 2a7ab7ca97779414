# An HTTPS server of Crystal, whose coroutines change stacks within calls of OpenSSL. It answers with 6 bytes.
# Arguments: key, certificate.
require "http/server"
require "openssl"

tls = OpenSSL::SSL::Context::Server.new
tls.private_key = ARGV[0]
tls.certificate_chain = ARGV[1]
server = HTTP::Server.new do |context|
  context.response.content_length = 6
  context.response.print "small\n"
end

STDOUT.sync = true
puts "up"
gets
puts "port #{server.bind_tls("127.0.0.1", 0, tls).port}"
spawn { server.listen }
gets
