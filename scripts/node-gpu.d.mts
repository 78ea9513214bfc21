export function findVulkanDriver(): string | undefined;
export function installNodeGpu(options?: { preferSystem?: boolean }): Promise<boolean>;
export function hasNodeGpu(): Promise<boolean>;
