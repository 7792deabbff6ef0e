// Attaches to a segment, a 4 x 5 array of doubles. Node maps nothing: positional reads and writes act on the same pages.
// Needs getfattr (package attr).   node attach.mjs /mnt/shm/NAME
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [path] = process.argv.slice(2);
const cell = Buffer.alloc(8);
const at = (row, column) => 8 * (5 * row + column);

function fail(message) {
  console.error(`attach: ${message}`);
  process.exit(1);
}

function attribute(name) {
  const { status, stdout } = spawnSync('getfattr', ['--only-values', '--absolute-names', '-n', name, path], { encoding: 'utf8' });
  if (status !== 0) fail(`${path}: no ${name}`);
  return stdout;
}

function get(fd, row, column) {
  fs.readSync(fd, cell, 0, 8, at(row, column));
  return cell.readDoubleLE();
}

function set(fd, row, column, value) {
  cell.writeDoubleLE(value);
  fs.writeSync(fd, cell, 0, 8, at(row, column));
}

if (!path) fail('usage: attach.mjs SEGMENT');
try {
  const dtype = attribute('user.shm.dtype'), shape = attribute('user.shm.shape');
  if (dtype !== '<f8' || shape !== '4,5') fail(`${path}: dtype ${dtype}, shape ${shape}, not <f8 and 4,5`);

  const fd = fs.openSync(path, 'r+');
  if (get(fd, 1, 2) !== 12.5) fail(`${path}: element [1,2] is ${get(fd, 1, 2)}, not 12.5`);
  set(fd, 2, 3, 23.25);
  console.log('ready');

  const end = Date.now() + 20_000;
  while (get(fd, 3, 4) !== 99) { // another process writes it
    if (Date.now() > end) fail(`${path}: element [3,4] is still ${get(fd, 3, 4)} after 20 s`);
    await sleep(1);
  }
  console.log('seen');
} catch (error) {
  fail(error.message);
}
