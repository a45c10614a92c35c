-- get_delegations: reads delegations: one, or those that somebody gave or holds, a page at a time.
-- KEYS[1]   what the delegations' keys begin with (delegation/delegations)
-- ARGV[1]   one: that with the id; given: those that an agent has issued; held, pooled: those of a holder
-- ARGV[2]   the id
-- ARGV[3]   the place after which to begin, or "-inf"
-- ARGV[4]   the most delegations
-- Reply     {"MORE" or "DONE", place of the last one looked at, row, …}, a row being {id, from, to, type,
--           scope, parent, depth, left, created, expires, revoked, revoker, "1" while it counts}; "" for
--           what is not there
--@include delegation/delegations

local home = KEYS[1]
local delegations = make_delegations(home)
local what, id, after, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local page = { id, "0" }
if what ~= "one" then
  local index = delegations[what] .. id
  page = redis.call("ZRANGEBYSCORE", index, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, most)
end
local reply = { #page == 2 * most and "MORE" or "DONE", after }
local fields = {
  "from",
  "to",
  "type",
  "scope",
  "parent",
  "depth",
  "left",
  "created",
  "expires",
  "revoked",
  "revoker",
}
for i = 1, #page, 2 do
  reply[2] = int(tonumber(page[i + 1]))
  local delegation = delegations.load(page[i])
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
