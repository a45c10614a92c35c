-- get_pool: reads a pool, its members a page at a time in the order of joining.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   pool id
-- ARGV[2]   when the pool was created, as the first page told it, or ""
-- ARGV[3]   the place after which to begin, or "-inf"
-- ARGV[4]   the most members to read
-- Reply     {"UNKNOWN"}: there is no such pool, or it is no longer the one of the first page
--           {"MORE" or "DONE", spec, created, version, place of the last member, agent id, …}
--@include pools/pools

local id, created, after, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local pool = load(id)
if not pool or (created ~= "" and created ~= pool.created) then
  return { "UNKNOWN" }
end
local page = redis.call("ZRANGEBYSCORE", members .. id, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, most)
local reply = { #page == 2 * most and "MORE" or "DONE", pool.spec, pool.created, pool.version, after }
for i = 1, #page, 2 do
  reply[5] = int(tonumber(page[i + 1]))
  reply[#reply + 1] = page[i]
end
return reply
