/** A text rule by which a sentence counts as one in which the model checks itself. */
export interface AhaRule {
  /** Name shown and sent with a mark. */
  name: string;
  /** One line for the user: why this sentence is marked. */
  explanation: string;
  pattern: RegExp;
}

const LET =
  "\\b(?:let(?:'|’)?s|let\\s+(?:me|us)|i(?:'|’)ll|i\\s+(?:will|should|must|need\\s+to|have\\s+to|want\\s+to)|(?:we|one)\\s+(?:should|must|need\\s+to|have\\s+to))\\s+(?:\\w+\\s+){0,3}?";

const rule = (name: string, explanation: string, ...patterns: string[]): AhaRule => ({
  name,
  explanation,
  pattern: new RegExp(patterns.join('|'), 'i'),
});

/** In this order: the first rule that fits names the mark. The marks come from text alone, not from the model. */
export const AHA_RULES: readonly AhaRule[] = [
  rule(
    'wait',
    'The model interrupts itself ("Wait, ...").',
    "(?:^|[,;:—–-]\\s*|^(?:but|oh|no|hmm|ah|hold on)[,.!…]*\\s+)wait(?:\\s*[,.!?…—–-]|\\s+(?:a\\s+(?:minute|moment|second)|no\\b|let(?:'|’)?s?\\b|that\\b|is\\b|actually\\b)|$)",
    '\\bhold\\s+on\\s*[,.!…—–-]',
  ),
  rule(
    'look-again',
    'The model goes back to the evidence ("let me look again").',
    `${LET}(?:re-?)?(?:look|watch|check|see|view|read|go|think|analy[sz]e|consider|examine|review|verify|confirm|count)\\b[^.!?]*\\b(?:again|once\\s+more|one\\s+more\\s+time|a\\s+second\\s+time|more\\s+(?:closely|carefully))\\b`,
    '^(?:looking|watching|checking|thinking|counting)\\b[^.!?,]*\\b(?:again|once\\s+more)\\b',
  ),
  rule(
    'verify',
    'The model checks what it found ("let\'s confirm this").',
    `${LET}(?:double-?\\s?check|verify|confirm|check|make\\s+sure|re-?(?:check|examine|evaluate|consider|think|visit|view|assess|read|watch|count)|revisit)\\b`,
  ),
  rule(
    'step-back',
    'The model steps back to start afresh ("take a step back").',
    '\\b(?:take|taking|go|going)\\s+(?:a\\s+)?step\\s+back\\b(?!\\s+from)',
    '\\bstep(?:ping)?\\s+back\\s+(?:and|to)\\b',
    `${LET}start\\s+(?:over|again|afresh)\\b`,
  ),
  rule(
    'second-thought',
    'The model changes its mind ("on second thought").',
    '\\bon\\s+(?:second|further|closer)\\s+(?:thought|thoughts|reflection|look|inspection)\\b',
    '\\bcome\\s+to\\s+think\\s+of\\s+it\\b',
  ),
  rule(
    'mistake',
    'The model says that it was wrong.',
    '\\bI\\s+(?:was|am|may\\s+be|might\\s+be|could\\s+be|may\\s+have\\s+been|might\\s+have\\s+been)\\s+(?:wrong|mistaken)\\b',
    '\\bI\\s+(?:made\\s+a\\s+mistake|misread|misjudged|overlooked|misunderstood)\\b',
    '\\bmy\\s+mistake\\b',
    "\\bthat\\s+(?:can(?:'|’)?t|cannot)\\s+be\\s+right\\b",
    "\\bthat\\s+(?:does\\s+not|doesn(?:'|’)?t)\\s+(?:add\\s+up|fit|match|make\\s+sense)\\b",
  ),
  rule(
    'actually',
    'The model corrects itself ("Actually, ...").',
    '^(?:(?:but|no|oh|well|and|wait)[,.!…]*\\s+)?actually\\b',
  ),
  rule('hmm', 'The model hesitates ("Hmm").', '^(?:[^\\w]*)h+m+\\b'),
];

/** The rule by which a sentence counts as a self-check, or undefined. */
export function matchAhaRule(sentence: string): AhaRule | undefined {
  return AHA_RULES.find((item) => item.pattern.test(sentence));
}
