const WHOLE = /^<think>(?!.*<think>).*?<\/think>/s;

/**
 * TRL's `think_format_reward`: 1 where the text begins with `<think>`, closes it, and opens no second one; else 0. What
 * follows the closing tag is free.
 */
export function think_format_reward(content: string): 0 | 1 {
  return WHOLE.test(content) ? 1 : 0;
}
