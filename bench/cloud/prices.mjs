// The list prices by which functions say what they cost are those of the benchmarks.
export { priceOf, prices } from "../../dist/model/prices.js";
