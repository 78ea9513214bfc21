/** The `source` of what is kept of a model's files, by the name that they are loaded under. */
export function filesSource(name: string): string {
  return `folder ${name}`;
}

/** The address that a kept model's `source` is; undefined where the model came from files. */
export function sourceAddress(source: string): string | undefined {
  return /^https?:/.test(source) ? source : undefined;
}
