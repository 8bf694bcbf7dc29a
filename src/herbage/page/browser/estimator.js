// The estimator of this site: it estimates in the browser.

import { BrowserEstimator } from "./browser.js";

export const estimator = new BrowserEstimator();
