import { createLocalFolder } from "../../src/static/local-folder.js";
import { testFolder } from "../support/folder-contract.js";

testFolder(async (folder) => createLocalFolder(folder));
