-- delete_pool: Delete a pool, except for its members, which clear_pool removes.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   call id
-- ARGV[2]   pool id
-- Reply     {"DELETED"} | {"UNKNOWN"}
--@include pools/pools

local call, id = ARGV[1], ARGV[2]
local pool = load_pool(id)
if deletion_call(id) == call or (pool and seen_call(pool, call)) then
  return { "DELETED" }
end
sweep_deleted_pools()
if not pool then
  return { "UNKNOWN" }
end
redis.call("UNLINK", records .. id, admits .. id)
redis.call("ZREM", pools, id)
redis.call("HSET", deleted, id, call .. int(now))
return { "DELETED" }
