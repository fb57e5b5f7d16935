// Runs the original's server, unchanged, on a free loopback port. The argument is JSON: its options. Reports events as
// JSON lines on stdout; the first is "listening". SIGTERM closes the server, but the process continues.
const http = require('http');
const {DockerExecServer} = require('docker-exec-websocket-server');

const options = JSON.parse(process.argv[2]);
const tell = (event, fields = {}) => process.stdout.write(JSON.stringify({event, ...fields}) + '\n');

const httpServer = http.createServer();
const server = new DockerExecServer({...options, server: httpServer});
server.on('session', () => tell('session'));
server.on('session added', (count) => tell('session added', {count}));
server.on('session removed', (count) => tell('session removed', {count}));
process.on('SIGTERM', () => server.close());
httpServer.listen(0, '127.0.0.1', () => tell('listening', {port: httpServer.address().port}));
