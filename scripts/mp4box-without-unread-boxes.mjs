// mp4box registers a class for each of 280 kinds of boxes, so that no bundler can leave one out. The page makes every box
// that it does not read a `free` one before mp4box sees it (src/video/prepare-tables.ts): the classes of those are taken
// out of the built page, a fifth of the library.

/** Boxes that are read and defined in mp4box's main file; those of its shared file stay as they are. */
const READ = ['btrt', 'co64', 'ctts', 'elst', 'pasp', 'stss', 'stz2', 'tref'];

/** A Vite plugin, for the build alone. @throws Error in the build where mp4box has another shape. */
export const mp4boxWithoutUnreadBoxes = {
  name: 'mp4box-without-unread-boxes',
  apply: 'build',
  enforce: 'pre',
  transform(code, id) {
    return /mp4box\/dist\/mp4box\.all\.mjs/.test(id) ? { code: withoutUnread(code), map: null } : null;
  },
};

function withoutUnread(code) {
  const begin = code.indexOf('var all_boxes_exports');
  const end = code.indexOf('registerBoxes(all_boxes_exports)');
  if (begin < 0 || end < 0) throw new Error('mp4box has changed: its list of boxes was not found.');
  const list = code.slice(begin, end);
  const classes = new Map(
    [...code.matchAll(/^var (\w+) = class [\s\S]*?^};\n/gm)].map((match) => [match[1], match[0]]),
  );
  const unread = [...list.matchAll(/^\t(\w+): \(\) => \1,?\n/gm)].filter(
    ([, name]) => classes.has(name) && !READ.includes(name.replace(/(Box|SampleEntry)$/, '')),
  );
  if (unread.length < 50) throw new Error('mp4box has changed: its classes were not found.');
  let kept = list;
  for (const [line] of unread) kept = kept.replace(line, '');
  let rest = code.slice(0, begin) + kept + code.slice(end);
  for (const [, name] of unread) {
    const without = rest.replace(classes.get(name), '');
    // Another class extends it: it stays, but under no name of a box.
    if (!new RegExp(`\\b${name}\\b`).test(without)) rest = without;
  }
  return rest;
}
