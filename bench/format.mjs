// How figures are written, and tables of Markdown.
export const number = (value, digits = 0) =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const time = us => (us >= 10_000 ? `${number(us / 1000, 1)} ms` : us >= 1000 ? `${number(us / 1000, 2)} ms` : `${number(us)} µs`);

export function table(header, rows) {
  const rule = header.map((_, i) => (i === 0 ? '---' : '---:'));
  return [header, rule, ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}
