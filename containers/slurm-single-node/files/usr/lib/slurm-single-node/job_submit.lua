-- sbatch takes a client's token along with the environment; slurmctld would keep it with the job, in memory and on disk.
-- It cannot be taken out here, only emptied; the TaskProlog then unsets it in the job.
function slurm_job_submit(job, _, _)
    if job.environment and job.environment["SLURM_JWT"] then
        job.environment["SLURM_JWT"] = ""
    end
    return slurm.SUCCESS
end

function slurm_job_modify(_, _, _, _)
    return slurm.SUCCESS
end
