-- create_pool: Create a pool.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   pool id
-- ARGV[2]   spec (msgpack)
-- ARGV[3]   admission: open, whitelist, token or custom
-- ARGV[4]   "1": the joining process must call its policy objects first; else ""
-- ARGV[5]   the most members, or ""
-- ARGV[6…]  agent ids of the whitelist, or digests of the tokens
-- Reply     {"CREATED", microseconds, version}
--           {"EXISTS", spec}: a pool with this id and spec exists
--           {"CLEARING"}: members of a deleted pool with this id are still being removed; call again
--@include pools/pools

local id, spec, admission, client_checked, max = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local stored = redis.call("HGET", records .. id, "spec")
if stored then
  return { "EXISTS", stored }
end
local call = deletion_call(id)
if call then
  remove_members(id)
  if deletion_call(id) then
    return { "CLEARING" }
  end
end
sweep_deleted_pools()
local version = int(now)
redis.call("HSET", records .. id, "spec", spec, "admission", admission)
redis.call("HSET", records .. id, "created", version, "version", version)
if call then
  redis.call("HSET", records .. id, "calls", call) -- a retry of that deletion must not delete the new pool
end
if client_checked ~= "" then
  redis.call("HSET", records .. id, "asks", client_checked)
end
if max ~= "" then
  redis.call("HSET", records .. id, "max", max)
end
for i = 6, #ARGV do
  redis.call("SADD", admits .. id, ARGV[i])
end
redis.call("ZADD", pools, 0, id)
return { "CREATED", version, version }
