/** The public API of tidemark. */
export {};
