// The vendor declares `paths` without exporting the declaration itself; the schema generator needs a name of our own.
import type { paths } from "@prisma/management-api-sdk";

export type Contract = paths;
