-- get_pool: Read a pool and a page of its members, in the order of joining.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   pool id
-- ARGV[2]   time of creation of the pool, from the first page, or ""
-- ARGV[3]   position of the last member of the previous page, or "-inf"
-- ARGV[4]   the most members to read
-- Reply     {"UNKNOWN"}: the pool does not exist, or is another one than that of the first page
--           {"MORE" or "DONE", spec, created, version, position of the last member, agent id, …}
--@include pools/pools

local id, created, after, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local pool = load_pool(id)
if not pool or (created ~= "" and created ~= pool.created) then
  return { "UNKNOWN" }
end
local page = redis.call("ZRANGEBYSCORE", members .. id, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit)
local reply = { #page == 2 * limit and "MORE" or "DONE", pool.spec, pool.created, pool.version, after }
for i = 1, #page, 2 do
  reply[5] = int(tonumber(page[i + 1]))
  reply[#reply + 1] = page[i]
end
return reply
