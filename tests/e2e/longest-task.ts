import type { Page } from '@playwright/test';

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** Microseconds from its start to its end, and those in which its thread had a core. */
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

/**
 * The page's longest main-thread task while `action` runs, in milliseconds: by the time that the thread worked, and by
 * the clock. Where cores are shared the clock also counts the waiting for one, which says nothing of the page.
 */
export async function longestTask(
  page: Page,
  action: () => Promise<unknown>,
): Promise<{ cpu: number; wall: number }> {
  const session = await page.context().newCDPSession(page);
  const events: TraceEvent[] = [];
  session.on('Tracing.dataCollected', ({ value }) => {
    events.push(...(value as unknown as TraceEvent[]));
  });
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['toplevel'] },
  });
  await action();
  const complete = new Promise<void>((resolve) => session.once('Tracing.tracingComplete', () => resolve()));
  await session.send('Tracing.end');
  await complete;
  await session.detach();
  const main = new Set(
    events
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  let cpu = 0;
  let wall = 0;
  for (const { name, ph, pid, tid, dur = 0, tdur = 0 } of events) {
    if (ph !== 'X' || !name.endsWith('RunTask') || !main.has(`${pid} ${tid}`)) continue;
    cpu = Math.max(cpu, tdur / 1000);
    wall = Math.max(wall, dur / 1000);
  }
  return { cpu, wall };
}
