// The documents: every relative link leads to a file, and a fragment to a heading.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { killAll, post, startNode } from './harness.mjs';

after(killAll);

const root = fileURLToPath(new URL('../..', import.meta.url));
// What belongs to the tree, and not what npm or a build put into it.
const documents = execFileSync('git', ['-C', root, 'ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { encoding: 'utf8' })
  .split('\n').filter(name => name && existsSync(join(root, name)));

// Without code, which may look like links.
const prose = text => text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, code => ' '.repeat(code.length));

// As GitHub makes them.
function anchors(text) {
  const seen = new Map();
  return new Set([...text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map(([, heading]) => {
    const slug = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before === 0 ? slug : `${slug}-${before}`;
  }));
}

function* linksOf(text) {
  for (const [, target] of prose(text).matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)) yield target;
  for (const [, target] of prose(text).matchAll(/^\s*\[[^\]]+\]:\s*<?(\S+?)>?\s*$/gm)) yield target;
  for (const [, target] of prose(text).matchAll(/<(?:a|img)\s[^>]*?(?:href|src)="([^"]+)"/g)) yield target;
}

test('every relative link of every document leads somewhere', () => {
  assert.ok(documents.includes('README.md') && documents.includes('ARCHITECTURE.md') && documents.length >= 10, `${documents.length}`);
  const broken = [];
  let links = 0;
  for (const name of documents) {
    for (const target of linksOf(readFileSync(join(root, name), 'utf8'))) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue; // elsewhere
      links += 1;
      const [path, fragment] = target.split('#');
      const file = path === '' ? name : normalize(join(dirname(name), decodeURIComponent(path)));
      const there = join(root, file);
      if (file.startsWith('..') || !existsSync(there)) broken.push(`${name}: ${target}: there is no ${file}`);
      else if (fragment && file.endsWith('.md') && statSync(there).isFile() && !anchors(readFileSync(there, 'utf8')).has(fragment))
        broken.push(`${name}: ${target}: ${file} has no such heading`);
    }
  }
  assert.ok(links >= 15, `${links} links were found: the search is broken`);
  assert.deepEqual(broken, []);
});

test('a link whose text is a path says where it leads', () => {
  const odd = [];
  for (const name of documents)
    for (const [, text, target] of readFileSync(join(root, name), 'utf8').matchAll(/\[`?([\w./-]+\.\w+)`?\]\(([^)#\s]+)\)/g))
      if (!/^[a-z]+:/.test(target) && normalize(join(dirname(name), target)).split('/').at(-1) !== text.split('/').at(-1)) odd.push(`${name}: [${text}](${target})`);
  assert.deepEqual(odd, []);
});

test('the README\'s requests do on a fresh node what it says of them', async () => {
  const bodies = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^gql '(.+)'$/gm)].map(([, body]) => body);
  assert.ok(bodies.length >= 7, `${bodies.length} requests were found: the search is broken`);
  const node = await startNode();
  const bearer = node.token();
  const ask = async body => {
    const { status, json } = await post(node, bearer, JSON.parse(body));
    assert.equal(status, 200, body);
    assert.equal(json.errors, undefined, `${body}: ${JSON.stringify(json.errors)}`);
    return json.data;
  };
  const answers = [];
  for (const body of bodies) answers.push(await ask(body));
  assert.equal((await ask(bodies[0])).syncVoiceData.replayed, true);
  const conflicts = answers.map(one => one.syncOperations?.items[0].conflictDetected).filter(one => one !== undefined);
  assert.deepEqual(conflicts, [false, false, true], 'different fields stay, the same field is a conflict');
  assert.ok(answers.some(one => one.changes?.entities.length === 2), 'the voice record and the task');
  assert.ok(answers.some(one => one.queueStatus?.healthy === true));
  await node.stop();
});
