-- get_delegations: Read one delegation, or a page of those that an agent issued or that a holder has.
-- KEYS[1]   the prefix of the delegations' keys (delegation/delegations)
-- ARGV[1]   one: a single delegation; given: issued by an agent; held: by an agent; pooled: by a pool
-- ARGV[2]   id of the delegation, agent or pool
-- ARGV[3]   position of the last entry of the previous page, or "-inf"
-- ARGV[4]   the most delegations to read
-- Reply     {"MORE" or "DONE", position of the last entry read, row, …}; row: {id, from, to, type, scope,
--           parent, depth, left, created, expires, revoked, revoker, "1" if it is active}; "" for a missing
--           field
--@include delegation/delegations

local prefix = KEYS[1]
local kind, id, after, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local delegations = make_delegations(prefix)
local fields = {
  "from", "to", "type", "scope", "parent", "depth", "left", "created", "expires", "revoked", "revoker",
}
local page = { id, "0" }
if kind ~= "one" then
  local index = delegations[kind] .. id
  page = redis.call("ZRANGEBYSCORE", index, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit)
end
local reply = { #page == 2 * limit and "MORE" or "DONE", after }
for i = 1, #page, 2 do
  reply[2] = int(tonumber(page[i + 1]))
  local delegation = delegations.load_delegation(page[i])
  if delegation then
    local row = { page[i] }
    for _, field in ipairs(fields) do
      row[#row + 1] = delegation[field] or ""
    end
    row[#row + 1] = delegations.broken_link(page[i], delegation) and "" or "1"
    reply[#reply + 1] = row
  end
end
return reply
