// A receiver as Node's own modules make it: the HMAC in constant time, then the JSON.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';

const { PORT, CERT, KEY, SECRET, HEADER } = process.env;
const header = HEADER.toLowerCase();

function verified(body, signature) {
    const computed = crypto.createHmac('sha256', SECRET).update(body).digest();
    const given = Buffer.from(signature ?? '', 'hex');
    return given.length === computed.length && crypto.timingSafeEqual(given, computed);
}

function identified(body) {
    try {
        const event = JSON.parse(body);
        return typeof event.eventId === 'string' && typeof event.eventType === 'string';
    } catch {
        return false;
    }
}

function answer(response, status, text) {
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
    response.end(text);
}

const tls = { cert: fs.readFileSync(CERT), key: fs.readFileSync(KEY), minVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'] };
const server = https.createServer(tls, (request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
        const body = Buffer.concat(chunks);
        if (!verified(body, request.headers[header])) {
            answer(response, 401, '{}');
        } else if (!identified(body)) {
            answer(response, 400, '{}');
        } else {
            answer(response, 200, '{"status":"accepted"}');
        }
    });
});
server.keepAliveTimeout = 600_000;
server.listen(Number(PORT), '127.0.0.1');
