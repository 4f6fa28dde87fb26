// Which page this is: the list of runs, one run, or several beside each other.

import { language, t } from "./common.js";
import { showRuns } from "./runs.js";
import { showRun } from "./run.js";
import { showComparison } from "./compare.js";

const page = document.getElementById("page");
const parameters = new URLSearchParams(location.search);
const other = document.getElementById("language");
const query = new URLSearchParams(parameters);
query.set("language", language === "zh" ? "en" : "zh");
other.href = `?${query}`;

const pages = { run: showRun, compare: showComparison };
const show = pages[location.pathname.split("/").pop()] ?? showRuns;
show(page, parameters);
document.title = document.title || t("title");
