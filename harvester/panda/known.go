package panda

// known are the keys of a queue in CRIC's schema.
var known = []string{
	"acopytools", "allow_lan", "allow_wan", "altstageout", "appdir", "aprotocols", "astorages", "atlas_site", "capability", "catchall", "cloud",
	"comment_", "container_options", "container_type", "copytools", "corecount", "coreenergy", "corepower", "country", "direct_access_lan",
	"direct_access_wan", "dc", "environ", "envsetup", "fairsharepolicy", "gocname", "gstat", "harvester", "harvester_template", "hc_param", "hc_suite",
	"id", "is_cvmfs", "is_default", "is_virtual", "jobseed", "last_modified", "localqueue", "lfchost", "maxdiskio", "maxinputsize", "maxrss", "maxtime",
	"maxwdir", "meanrss", "minrss", "mintime", "multicloud", "name", "nickname", "nodes", "panda_resource", "panda_site", "parent_name", "params",
	"pilot_manager", "pilot_version", "pledgedcpu", "probe", "proxy", "queues", "rc", "rc_country", "rc_site", "rc_site_state", "region", "releases",
	"resource_type", "retry", "rprotocols", "schedconfig", "server", "site", "site_state", "siteid", "special_par", "state", "state_comment",
	"state_update", "status", "system", "tier", "tier_level", "timefloor", "transferringlimit", "type", "tspace", "uconfig", "unified_dq2", "use_newmover",
	"use_pcache", "validatedreleases", "vo_name", "wansinklimit", "wansourcelimit", "wnconnectivity", "workflow", "zip_time_gap",
}
