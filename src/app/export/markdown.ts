import { formatBytes, formatDuration, formatSigned, formatTime } from '../shared/format';
import { LETTERS } from '../store/draft';
import type { ExportedSample, TraceDocument } from './trace-document';

/** A trace as Markdown, for people. Text of the model, the question and file names cannot become markup. */
export function traceMarkdown(document: TraceDocument): string {
  const { question, label, model, adapter, video, settings, samples, group } = document;
  const lines = [`# ${plain(question.text)}`, ''];
  question.options.forEach((option, index) => {
    const letter = LETTERS[index]!;
    lines.push(`- ${letter}. ${plain(option)}${letter === label ? ' (right)' : ''}`);
  });
  if (question.options.length > 0) lines.push('');
  samples.forEach((sample, index) => {
    if (samples.length > 1) lines.push(`## Answer ${index + 1} of ${samples.length}`, '');
    lines.push(...sampleLines(sample, document));
  });
  lines.push('## Facts', '', '| | |', '|---|---|');
  const fact = (name: string, value: string | undefined) => {
    if (value) lines.push(`| ${name} | ${plain(value)} |`);
  };
  const size = model.weightBytes === undefined ? '' : `, ${formatBytes(model.weightBytes)} on the GPU`;
  fact('Model', `${model.name}${size}${model.backend ? `, ${model.backend}` : ''}`);
  if (adapter) {
    const name = adapter.description || [adapter.vendor, adapter.architecture].filter(Boolean).join(' ');
    fact(
      'Adapter',
      [name, adapter.isFallback ? 'on the CPU' : '', adapter.f16 ? 'f16' : 'f32 only']
        .filter(Boolean)
        .join(', '),
    );
  }
  const facts = [
    video.codec,
    video.width && `${video.width} x ${video.height}`,
    video.durationSeconds !== undefined && formatTime(video.durationSeconds),
    video.sampledTimes &&
      `${video.sampledTimes.length} frames${video.sampling === '1fps' ? ', 1 per second' : ', even'}`,
  ].filter(Boolean);
  fact('Video', [video.name, ...facts].join(', '));
  fact('Prompt', question.reasoning ? 'reasoning' : 'direct option');
  fact(
    'Settings',
    `temperature ${settings.temperature}, top_k ${settings.top_k}, top_p ${settings.top_p}, ` +
      `max_new_tokens ${settings.max_new_tokens}, seed ${settings.seed}`,
  );
  if (document.promptTokens !== undefined) fact('Prompt tokens', String(document.promptTokens));
  if (document.fork)
    fact('Fork', `from token ${document.fork.position + 1}, where “${document.fork.from}” stood`);
  if (group) {
    fact('Group', `${group.newTokens} tokens, ${group.tokensPerSecond.toFixed(1)} tok/s`);
    if (group.advantages) fact('Advantages', group.advantages.map(formatSigned).join(', '));
  }
  fact('Exported', document.created);
  return `${lines.join('\n')}\n`;
}

function sampleLines(
  { trace, stats, reward, reason, tokens }: ExportedSample,
  document: TraceDocument,
): string[] {
  const lines: string[] = [];
  trace.sentences.forEach((sentence) => {
    const mark = sentence.aha ? ` **[${plain(sentence.aha.label)}: ${plain(sentence.aha.rule)}]**` : '';
    lines.push(`> ${plain(sentence.text)}${mark}`, '>');
  });
  if (lines.length > 0) lines[lines.length - 1] = '';
  if (trace.sentences.length === 0 && trace.text) lines.push(`> ${plain(trace.text)}`, '');
  if (trace.answer !== undefined) {
    const index = LETTERS.indexOf(trace.answer.trim() as (typeof LETTERS)[number]);
    const option = document.question.options[index];
    lines.push(`**Answer:** ${plain(trace.answer)}${option ? `, ${plain(option)}` : ''}`, '');
  }
  for (const problem of trace.problems) lines.push(`- ${plain(problem)}`);
  if (trace.problems.length > 0) lines.push('');
  const end = { eos: '', length: 'cut off at the token limit', stopped: 'stopped' }[reason ?? 'stopped'];
  const numbers = [
    `${tokens.length} tokens`,
    stats && `${stats.tokensPerSecond.toFixed(1)} tok/s`,
    stats && `first token after ${formatDuration(stats.timeToFirstTokenMs)}`,
    reward && `reward ${formatSigned(reward.reward)}`,
    end,
  ].filter(Boolean);
  return [...lines, numbers.join(', '), ''];
}

/** One line of text in which nothing is markup: neither Markdown's nor HTML's. */
function plain(text: string): string {
  return text
    .trim()
    .replace(/[\\`*_{}[\]()#+!|~>$-]/g, '\\$&')
    .replace(/^(\d+)\./, '$1\\.')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/\s*\n\s*/g, ' ');
}
