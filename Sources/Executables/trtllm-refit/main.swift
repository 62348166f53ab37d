import Commands

await CommandRunner.main(RefitCommand.self)
