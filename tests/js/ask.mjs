// Asks in the ways named on the command line, one after the other, and prints what came, as JSON.
//     node ask.mjs BASE_URL WAY...
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [url, ...ways] = process.argv.slice(2);
const anthropic = new Anthropic({ apiKey: "key-1", baseURL: url, maxRetries: 0 });
const openai = new OpenAI({ apiKey: "key-1", baseURL: `${url}/v1`, maxRetries: 0 });

const messages = [{ role: "user", content: "Item back after 12 days. Refund?" }];
const asked = { model: "claude-test-1", max_tokens: 1024, system: "Decide.", messages };
const tool = { name: "look_up", input_schema: { type: "object", properties: {} } };
const chat = { model: "gpt-test-1", messages: [{ role: "system", content: "Decide." }, ...messages] };
const counted = { stream: true, stream_options: { include_usage: true } };
const called = { model: "gpt-test-1", instructions: "Decide.", input: "12 days" };

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function helped(stream) {
  const events = await all(stream);
  return [events, await stream.finalMessage()];
}

async function refused(asking) {
  try {
    await asking;
    return null;
  } catch (error) {
    return [error.constructor.name, error.status, error.message, error.error];
  }
}

const asking = {
  "anthropic create": () => anthropic.messages.create(asked),
  "anthropic thinking": () =>
    anthropic.messages.create({ ...asked, max_tokens: 2048, thinking: { type: "enabled", budget_tokens: 1024 } }),
  "anthropic tools": () => anthropic.messages.create({ ...asked, tools: [tool] }),
  "anthropic beta": () => anthropic.beta.messages.create({ ...asked, betas: ["x-1"] }),
  "anthropic raw": async () => await (await anthropic.messages.create(asked).asResponse()).text(),
  "anthropic stream": async () => await all(await anthropic.messages.create({ ...asked, stream: true })),
  "anthropic helper": () => helped(anthropic.messages.stream(asked)),
  "anthropic thinking stream": () => helped(anthropic.messages.stream(asked)),
  "anthropic tools stream": () => helped(anthropic.messages.stream({ ...asked, tools: [tool] })),
  "anthropic overloaded": () => refused(anthropic.messages.create(asked)),
  "anthropic broken stream": () => refused(all(anthropic.messages.stream(asked))),
  "anthropic count": () => anthropic.messages.countTokens({ model: "claude-test-1", messages }),
  "openai create": () => openai.chat.completions.create(chat),
  "openai schema": () =>
    openai.chat.completions.parse({
      ...chat,
      response_format: {
        type: "json_schema",
        json_schema: { name: "ruling", strict: true, schema: { type: "object", properties: {} } },
      },
    }),
  "openai stream": async () => await all(await openai.chat.completions.create({ ...chat, ...counted })),
  "openai uncounted stream": async () =>
    await all(await openai.chat.completions.create({ ...chat, stream: true })),
  "openai tools stream": async () => await all(await openai.chat.completions.create({ ...chat, ...counted })),
  "openai limited": () => refused(openai.chat.completions.create(chat)),
  "openai responses": () => openai.responses.create(called),
  "openai responses stream": async () => await all(await openai.responses.create({ ...called, stream: true })),
};

const told = {};
for (const way of ways) told[way] = await asking[way]();
console.log(JSON.stringify(told));
