import type { Gpu } from '../gpu/device';
import { uploadTensor } from '../gpu/tensor';
import { PolicyGradient } from '../grpo/policy-gradient';
import { LANGUAGE_PREFIX } from '../model/tensor-names';
import { checkEqual, ROUNDS, readGradients, timeOf } from './measure-training';
import { median } from './stopwatch';
import {
  answerTokens,
  languageValues,
  logpGradients,
  loraValues,
  promptValues,
  sharedBatch,
  type TrainingScene,
} from './training-scene';

/** A LoRA step against jax-js. */
export interface JaxResult {
  /** Its time by ours. */
  vs_jax_js: number;
  /** Milliseconds, medians. */
  ours: number;
  jax: number;
}

/**
 * Times forward and backward pass of one answer under its prompt, a dense causal sequence, on ours and in jax-js, in
 * turns. Like jax-js ours keeps what its way back needs.
 * @throws Error where jax-js cannot run here, or gives other gradients.
 */
export async function measureJax(gpu: Gpu, scene: TrainingScene): Promise<JaxResult> {
  const spec = { ...scene.spec, answers: 1 };
  const { text, prompt_rows, tokens } = spec;
  const H = text.hidden_size;
  const byName = (entries: ReturnType<typeof languageValues>) =>
    new Map([...entries].map(({ name, ...rest }) => [name, rest]));
  const weights = byName(languageValues(scene.config));
  const table = weights.get(`${LANGUAGE_PREFIX}model.embed_tokens.weight`)!.values;
  const [answer] = answerTokens(spec);
  const d_logps = logpGradients(spec);
  const embeddings = new Float32Array((prompt_rows + tokens - 1) * H);
  embeddings.set(promptValues(spec));
  for (let i = 0; i < tokens - 1; i++)
    embeddings.set(table.subarray(answer![i]! * H, (answer![i]! + 1) * H), (prompt_rows + i) * H);

  // Its module is fetched when it is needed: it is no part of the page.
  const { createJaxStep } = await import('./jax-decoder');
  const jax = await createJaxStep(spec, {
    weights,
    lora: byName(loraValues(scene.adapter.shapes)),
    embeddings,
    targets: answer!,
    d_logps,
  });
  const policy = await PolicyGradient.create(gpu, scene.language, scene.adapter);
  const prompt = uploadTensor(gpu, promptValues(spec), [prompt_rows, H], 'f32', 'prompt');
  const batch = sharedBatch(spec);
  const ours = async () => {
    policy.clearGradients();
    const forward = await policy.forward(batch, prompt);
    await policy.backward(forward, d_logps);
    forward.destroy();
    return forward.logps;
  };
  try {
    const logps = await ours();
    const found = await jax.read();
    const loss = logps.reduce((sum, logp, i) => sum + logp * d_logps[i]!, 0);
    checkEqual(
      new Map([['loss', [loss]], ...(await readGradients(gpu, policy))] as [string, ArrayLike<number>][]),
      new Map([['loss', [found.loss]], ...found.gradients] as [string, ArrayLike<number>][]),
      'Ours and jax-js',
    );
    await jax.run();
    const rounds: [number, number][] = [];
    for (let i = 0; i < ROUNDS; i++)
      rounds.push([(await timeOf(gpu, ours)).ms, (await timeOf(gpu, () => jax.run())).ms]);
    return {
      vs_jax_js: median(rounds.map(([own, other]) => other / own)),
      ours: median(rounds.map(([own]) => own)),
      jax: median(rounds.map(([, other]) => other)),
    };
  } finally {
    jax.destroy();
    policy.destroy();
    prompt.buffer.destroy();
  }
}
