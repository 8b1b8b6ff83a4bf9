// For test files that stand in a README: they resolve the built packages, as their reader's do.
export default { test: { include: ["*.test.mjs"], testTimeout: 20_000 } };
