import type { EngineRequest } from './protocol';

type Ask = Extract<EngineRequest, { type: 'ask' }>;

/** Which adapters wrote the answers to earlier requests: a fork goes on with the one whose answer it leaves. */
export class AskedAdapters {
  private readonly asked = new Map<number, { num_generations: number; adapters: readonly string[] }>();

  /** The request as it is to be answered: a fork with the random numbers, too, of the answer that it leaves. */
  add(request: Ask): Ask {
    const own = this.forked(request);
    this.asked.set(own.id, { adapters: own.adapters ?? [''], num_generations: own.num_generations });
    return own;
  }

  private forked(request: Ask): Ask {
    const { fork } = request;
    const from = fork && this.asked.get(fork.ask);
    if (!from || request.adapters) return request;
    const { adapters, num_generations } = from;
    const adapter = adapters[Math.floor(fork.sample / num_generations)] ?? '';
    return { ...request, adapters: [adapter], fork: { ...fork, sample: fork.sample % num_generations } };
  }
}
