-- SPDX-License-Identifier: Apache-2.0
-- wrk: sign in again and again. Arguments: address, password.
local body
function init(args)
    body = '{"email":"' .. args[1] .. '","password":"' .. args[2] .. '"}'
end
function request()
    return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body)
end
