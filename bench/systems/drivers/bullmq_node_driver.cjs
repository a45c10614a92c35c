// BullMQ on Node.js: the protocol of driver_protocol.py, in JavaScript.

const fs = require('node:fs');
const readline = require('node:readline');
const { Queue, QueueEvents, Worker } = require('bullmq');

const NAME = 'bench';
const JOBS_PER_CALL = 1000;
const TEXT = 'x'.repeat(180);

const now = () => performance.now() / 1000;
const send = (message) => process.stdout.write(JSON.stringify(message) + '\n');
const data = (number) => ({ number, text: TEXT });

class Client {
  constructor(connection) {
    this.connection = connection;
    this.queue = new Queue(NAME, { connection });
  }

  async submit({ first, count }) {
    const started = now();
    for (let number = first; number < first + count; number += 1) {
      await this.queue.add('task', data(number));
    }
    return now() - started;
  }

  async submit_bulk({ first, count }) {
    const started = now();
    for (let start = first; start < first + count; start += JOBS_PER_CALL) {
      const jobs = [];
      for (let number = start; number < Math.min(start + JOBS_PER_CALL, first + count); number += 1) {
        jobs.push({ name: 'task', data: data(number) });
      }
      await this.queue.addBulk(jobs);
    }
    return now() - started;
  }

  async finished() {
    return this.queue.getCompletedCount();
  }

  async latencies({ first, count, pause }) {
    if (!this.events) {
      this.events = new QueueEvents(NAME, { connection: this.connection });
      await this.events.waitUntilReady();
    }
    const seconds = [];
    for (let number = first; number < first + count; number += 1) {
      const started = now();
      const job = await this.queue.add('task', data(number));
      const result = await job.waitUntilFinished(this.events, 30000);
      seconds.push(now() - started);
      if (result !== number) {
        throw new Error(`task ${number} came back as ${result}`);
      }
      if (pause) {
        await new Promise((resolve) => setTimeout(resolve, pause * 1000));
      }
    }
    return seconds;
  }

  async versions() {
    const version = (name) => JSON.parse(fs.readFileSync(`${process.env.NODE_PATH}/${name}/package.json`)).version;
    return { bullmq: version('bullmq'), ioredis: version('ioredis'), node: process.version };
  }
}

async function answer(connection) {
  const client = new Client(connection);
  await client.queue.waitUntilReady();
  send({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { method, ...request } = JSON.parse(line);
    try {
      send({ result: await client[method](request) });
    } catch (error) {
      send({ error: String(error) });
    }
  }
  process.exit(0);
}

// Write the marks once per turn of the event loop, so that only the queue is measured.
function marker(path) {
  const file = fs.openSync(path, 'r+');
  let waiting = [];
  const write = () => {
    const numbers = waiting.sort((a, b) => a - b);
    waiting = [];
    let start = 0;
    for (let i = 1; i <= numbers.length; i += 1) {
      if (i === numbers.length || numbers[i] !== numbers[i - 1] + 1) {
        fs.writeSync(file, Buffer.alloc(i - start, 1), 0, i - start, numbers[start]);
        start = i;
      }
    }
  };
  return (number) => {
    if (waiting.length === 0) {
      setImmediate(write);
    }
    waiting.push(number);
  };
}

async function work(connection, marks, concurrency) {
  const mark = marker(marks);
  const handle = async (job) => {
    mark(job.data.number);
    return job.data.number;
  };
  const worker = new Worker(NAME, handle, { connection, concurrency });
  process.on('SIGTERM', () => process.exit(0));
  await worker.waitUntilReady();
}

const [role, url, marks, concurrency] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null };
if (role === 'client') {
  answer(connection);
} else {
  work(connection, marks, Number(concurrency));
}
