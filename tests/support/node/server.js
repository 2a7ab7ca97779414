// An HTTPS server on Node.js, whose TLS library is in the executable and uses memory BIOs.
//
// It answers with 6 bytes and logs each exchange, as support/exchange_log.rs parses it. Arguments: key, certificate,
// the hosts to listen on, separated by commas; optionally, the host and port of another HTTPS server, which it then
// asks for each request, and at the same time a plaintext server in the same loop.

"use strict";
const fs = require("node:fs");
const https = require("node:https");
const net = require("node:net");

const [key, certificate, hosts, backendHost, backendPort] = process.argv.slice(2);
const unbracketed = (host) => host.replace(/[[\]]/g, "");

function logExchange(verb, id, socket) {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  console.log([verb, id, localAddress, localPort, remoteAddress, remotePort].join(" "));
}

const agent = new https.Agent({ keepAlive: true, maxSockets: 10, rejectUnauthorized: false });

function askSecure(id, done) {
  const to = { agent, host: unbracketed(backendHost), port: backendPort, path: `/small/${id}` };
  https
    .get({ ...to, headers: { "X-Request-ID": id } }, (response) => {
      const socket = response.socket;
      response.resume().on("end", () => {
        logExchange("asked", id, socket);
        done();
      });
    });
}

let plain; // One connection to the plaintext server, shared by all requests.
const waiting = [];

function askPlain(id, done) {
  waiting.push(done);
  plain.write(`GET ${id}\n`);
}

function readPlain(bytes) {
  for (const byte of bytes) if (byte === 10) waiting.shift()();
}

function serve(request, response) {
  const id = request.headers["x-request-id"];
  let left = backendHost ? 2 : 0;
  const answer = () => {
    if (left-- > 0) return;
    logExchange("served", id, request.socket);
    response.sendDate = false;
    response.writeHead(200, { "Content-Length": 6 });
    response.end("small\n");
  };
  if (backendHost) {
    askPlain(id, answer);
    askSecure(id, answer);
  }
  answer();
}

function listen(remaining, port) {
  if (remaining.length === 0) {
    console.log("port", port);
    return;
  }
  const options = { key: fs.readFileSync(key), cert: fs.readFileSync(certificate) };
  const server = https.createServer({ ...options, keepAliveTimeout: 600_000 }, serve);
  server.listen(port, unbracketed(remaining[0]), () => listen(remaining.slice(1), server.address().port));
}

console.log("up");
process.stdin.once("data", () => {
  process.stdin.on("end", () => process.exit(0));
  const echo = net.createServer((socket) => socket.pipe(socket));
  echo.listen(0, "127.0.0.1", () => {
    plain = net.connect(echo.address().port, "127.0.0.1", () => listen(hosts.split(","), 0));
    plain.on("data", readPlain);
  });
});
