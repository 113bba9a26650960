// What is there in an account of LocalStack, by the plain interfaces of its services.
import { ListFunctionsCommand, ListVersionsByFunctionCommand } from "@aws-sdk/client-lambda";
import type { Cloud } from "../resources.js";
