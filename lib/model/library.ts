/** The version of tidemark that writes a generation's facts (P4). The same as in package.json; a test compares them. */
export const libraryVersion = "0.1.0";
