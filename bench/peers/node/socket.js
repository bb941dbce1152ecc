// graphql-ws on ws, with one write to the kernel for the `next` and the `complete` of an answer: frames that are sent
// in one turn of the event loop leave together.
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';

const queuedMax = 256 << 10;
const uncork = stream => stream.uncork();
const drained = stream => new Promise(resolve => {
  const done = () => {
    stream.off('drain', done);
    stream.off('close', done);
    resolve();
  };
  stream.on('drain', done);
  stream.on('close', done);
});

export function serveGraphql(options, sockets) {
  sockets.options.handleProtocols = handleProtocols;
  const server = makeServer(options);
  sockets.on('connection', (socket, request) => {
    const stream = request.socket;
    let corked = false;
    const closed = server.opened({
      protocol: socket.protocol,
      send(text) {
        if (socket.readyState !== socket.OPEN) return undefined;
        if (!corked) {
          corked = true;
          stream.cork();
          process.nextTick(() => {
            corked = false;
            uncork(stream);
          });
        }
        socket.send(text);
        return stream.writableLength < queuedMax ? undefined : drained(stream); // a subscription waits for its reader
      },
      close: (code, reason) => socket.close(code, reason),
      onMessage: handle => socket.on('message', data => {
        handle(data.toString()).catch(problem => {
          console.error(problem);
          socket.close(CloseCode.InternalServerError, 'Internal server error');
        });
      }),
    }, { socket, request });
    const alive = setInterval(() => socket.readyState === socket.OPEN && socket.ping(), 30_000);
    socket.on('error', () => socket.terminate());
    socket.once('close', (code, reason) => {
      clearInterval(alive);
      closed(code, String(reason));
    });
  });
}
