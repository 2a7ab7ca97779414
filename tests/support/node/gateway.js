// A gateway on Node.js: an HTTPS server that passes each request on, over kept connections that are fewer than its clients'.
//
// Arguments: key, certificate, and the URL of the upstream server, whose certificate is not verified.

"use strict";
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");

const [key, certificate, upstream] = process.argv.slice(2);
const { protocol, hostname, port } = new URL(upstream);
const client = protocol === "https:" ? https : http;
const agent = new client.Agent({ keepAlive: true, maxSockets: 10, rejectUnauthorized: false });

function serve(request, response) {
  const { method, url: path, headers } = request;
  const asked = client.request({ agent, hostname, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  asked.on("error", () => response.writeHead(502).end());
  request.pipe(asked);
}

console.log("up");
process.stdin.once("data", () => {
  process.stdin.on("end", () => process.exit(0));
  const options = { key: fs.readFileSync(key), cert: fs.readFileSync(certificate), keepAliveTimeout: 600_000 };
  const server = https.createServer(options, serve);
  server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
});
