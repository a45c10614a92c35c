-- get_delegations: reads delegations: one, or those that somebody gave or holds, a page at a time.
-- KEYS      the delegations' keys (shared/delegations.lua)
-- ARGV[1]   one: that with the id; given: those of a delegator; held: those of an agent; pooled: of a pool
-- ARGV[2]   the id
-- ARGV[3]   the place after which to begin, or "-inf"
-- ARGV[4]   the most delegations
-- Reply     {"MORE" or "DONE", place of the last one looked at, row, …}, a row being {id, from, to, type, scope,
--           parent, depth, left, created, expires, revoked, revoker, "1" while it counts}; "" for what is not there
--@include shared/delegations

local what, id, after, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local indexes = { given = given, held = held, pooled = pooled }
local page = { id, "0" }
if what ~= "one" then
  page = redis.call("ZRANGEBYSCORE", indexes[what] .. id, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, most)
end
local reply = { #page == 2 * most and "MORE" or "DONE", after }
for i = 1, #page, 2 do
  reply[2] = int(tonumber(page[i + 1]))
  local one = load(page[i])
  if one then
    local counts = broken_link(page[i], one) and "" or "1"
    local row = { page[i], one.from, one.to, one.type, one.scope, one.parent or "", one.depth, one.left or "" }
    row[9], row[10], row[11] = one.created, one.expires or "", one.revoked or ""
    row[12], row[13] = one.revoker or "", counts
    reply[#reply + 1] = row
  end
end
return reply
