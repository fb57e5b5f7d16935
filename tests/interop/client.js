// Drives the original's client, unchanged. The argument is JSON: the client's options, and
//   reading: false leaves stdout unread until a line says {"read": true};
//   live: false reports stdout's total only.
// Reads JSON lines on stdin, each with one of: write (text), file (its bytes as one write), pipe (a file, in pieces),
// end, resize ([rows, columns]), message ([code, text]), read. Reports events as JSON lines on stdout, "end" last.
const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');
const {DockerExecClient} = require('docker-exec-websocket-client');

const {reading = true, live = true, ...options} = JSON.parse(process.argv[2]);
const tell = (event, fields = {}) => process.stdout.write(JSON.stringify({event, ...fields}) + '\n');

const client = new DockerExecClient(options);

function take(command) {
  if ('write' in command) client.stdin.write(Buffer.from(command.write));
  if ('file' in command) client.stdin.write(fs.readFileSync(command.file));
  if ('pipe' in command) fs.createReadStream(command.pipe).pipe(client.stdin);
  if ('end' in command) client.stdin.end();
  if ('resize' in command) client.resize(...command.resize);
  if ('message' in command) client.sendMessage(command.message[0], Buffer.from(command.message[1], 'latin1'));
  if ('read' in command) readStdout();
}

const totals = {};
function read(name) {
  const hash = crypto.createHash('sha256');
  let bytes = 0;
  client[name].on('data', (data) => {
    hash.update(data);
    bytes += data.length;
    if (live) tell(name, {text: data.toString('latin1')});
  });
  return new Promise((resolve) => {
    client[name].on('end', () => {
      totals[name] = {bytes, sha256: hash.digest('hex')};
      resolve();
    });
  });
}

let readStdout;
const stdoutEnd = new Promise((resolve) => {
  readStdout = () => read('stdout').then(resolve);
});

async function main() {
  client.on('exit', (code) => tell('exit', {code}));
  client.on('shutdown', () => tell('shutdown'));
  client.on('error', (error) => tell('error', {text: error.toString()}));
  await client.execute();
  const closed = new Promise((resolve) => {
    client.socket.on('close', (code) => {
      tell('close', {code});
      // The client ends its streams by itself only if it was told that the process or the server is gone.
      client.stdout.end();
      client.stderr.end();
      resolve();
    });
  });
  const stderrEnd = read('stderr');
  if (reading) readStdout();
  const commands = readline.createInterface({input: process.stdin});
  commands.on('line', (line) => take(JSON.parse(line)));
  await Promise.all([stdoutEnd, stderrEnd, closed]);
  tell('end', totals);
  commands.close();
  process.stdin.destroy();
}

main();
