// Calls a REST service through a data provider that nobody here wrote, as an application does,
// and prints what came of each call as one JSON object.
// usage: NODE_PATH=…/node_modules node client.cjs BASE TOKEN PURPOSE
"use strict";

const axios = require("axios");
const { default: dataProvider } = require("@refinedev/simple-rest");

const [base, token, purpose] = process.argv.slice(2);
const http = axios.create({
  headers: { Authorization: `Bearer ${token}`, "Privet-Purpose": purpose },
});
const provider = dataProvider(base, http);
const resource = "customers";

/** What a call gave, or the status and the words of its refusal. */
async function outcome(call) {
  try {
    return (await call).data ?? null;
  } catch (error) {
    if (!error.response) throw error;
    return { refused: error.response.status, detail: error.response.data?.detail };
  }
}

const one = (id) => outcome(provider.getOne({ resource, id }));
const replace = (id, variables) =>
  outcome(provider.update({ resource, id, variables, meta: { method: "put" } }));
const change = (id, variables) => outcome(provider.update({ resource, id, variables }));

async function main() {
  const said = {};
  said.list = await outcome(
    provider.getList({ resource, pagination: { currentPage: 1, pageSize: 10 } }),
  );
  said.one = await one("c-2");
  said.same = await replace("c-2", said.one);
  said.replaced = await replace("c-2", { ...said.one, nickname: "zo" });
  said.changed = await change("c-2", { phone: "+447700900777" });
  said.everything = await change("c-2", { ...said.changed, name: "Zoë B." });
  said.nulls = await replace("c-2", { ...said.everything, national_id: null });
  said.old = await replace("c-2", { ...said.nulls, phone: said.one.phone });
  said.forbidden = await change("c-2", { loyalty: 1 });
  said.moved = await change("c-2", { id: "c-3" });
  said.unlisted = await change("c-2", { is_admin: true });
  said.created = await outcome(
    provider.create({ resource, variables: { nickname: "new", email: "new@mail.example" } }),
  );
  said.read = await one(said.created.id);
  said.deleted = await outcome(provider.deleteOne({ resource, id: said.created.id }));
  said.gone = await one(said.created.id);
  said.missing = await replace("c-9", { nickname: "x" });
  console.log(JSON.stringify(said));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
