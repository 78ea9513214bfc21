export declare function findVulkanDriver(): string | undefined;
export declare function installNodeGpu(): Promise<boolean>;
