// The estimator of this page. A page that estimates in the browser has another file in this place.

import { ServerEstimator } from "./server.js";

export const estimator = new ServerEstimator();
