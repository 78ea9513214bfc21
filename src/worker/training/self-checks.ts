export * from '../../grpo/self-check';
